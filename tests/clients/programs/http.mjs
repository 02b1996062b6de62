// Node's http module: the body in two writes, and so in chunks.
import { readFileSync } from "node:fs";
import { request } from "node:http";

const [url, small, large] = process.argv.slice(2);
const ask = (path, method, file) =>
  new Promise((resolve, reject) => {
    const asking = request(url + path, { method, headers: file ? { "content-type": "application/json" } : {} });
    asking.on("error", reject);
    asking.on("response", (response) => {
      let text = "";
      response.on("data", (piece) => (text += piece));
      response.on("end", () => resolve(`${response.statusCode} ${text}`));
    });
    if (file) {
      const body = readFileSync(file);
      asking.write(body.subarray(0, 10));
      asking.write(body.subarray(10));
    }
    asking.end();
  });

console.log(await ask("/recommend", "POST", small));
console.log(await ask("/events", "POST", large));
console.log(await ask("/recommend", "POST", small));
console.log(await ask("/health/live", "GET"));
