// Node's fetch, as it comes.
import { readFileSync } from "node:fs";

const [url, small, large] = process.argv.slice(2);
const post = (path, file) =>
  fetch(url + path, { method: "POST", headers: { "content-type": "application/json" }, body: readFileSync(file) });

for (const ask of [
  () => post("/recommend", small),
  () => post("/events", large),
  () => post("/recommend", small),
  () => fetch(url + "/health/live"),
]) {
  const response = await ask();
  console.log(response.status, await response.text());
}
