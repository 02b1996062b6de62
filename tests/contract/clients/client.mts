// Ask a service with the types that openapi-typescript made of the document; its URL is the argument.
import type { components, paths } from "./api.js";

type Asked = components["schemas"]["RecommendRequest"];
type Answer = paths["/recommend"]["post"]["responses"][200]["content"]["application/json"];
type Problem = components["schemas"]["ProblemReply"];
type Batch = components["schemas"]["EventBatch"];
type Accepted = paths["/events"]["post"]["responses"][202]["content"]["application/json"];

declare const process: { argv: string[] };
const url = process.argv[2];

async function post(path: keyof paths, body: Asked | Batch): Promise<Response> {
    return fetch(url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
    });
}

function expect(claim: boolean, found: unknown): void {
    if (!claim) throw new Error(JSON.stringify(found));
}

const answer: Answer = await (await post("/recommend", { user_id: "user-3", limit: 2 })).json();
const itemIds: string[] = answer.items.map((item) => item.item_id);
expect(itemIds.join() === "item-3,item-7", answer);
const title: string | undefined = answer.items[0].title;
const version: string | undefined = answer.model?.version;
expect(title === "Item 3" && version !== undefined && answer.tier === "student", answer);

const batch: Batch = { key: "from-typescript", events: [{ kind: "view", item_id: "item-15", user_id: "user-3" }] };
const accepted: Accepted = await (await post("/events", batch)).json();
expect(accepted.accepted === 1 && !accepted.replayed, accepted);

const refused = await post("/recommend", { limit: 1000 });
const problem: Problem = await refused.json();
expect(refused.status === 422 && problem.errors?.[0].path === "limit", problem);
