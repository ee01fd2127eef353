// The API's own description, drawn: nothing here is written twice.

import { api } from "./api.js";
import { byId, h } from "./dom.js";

const schema = await api("/openapi.json");

const resolve = (node) => (node?.$ref ? node.$ref.slice(2).split("/").reduce((at, part) => at[part], schema) : node);

function example(node, depth = 0) {
  const shape = resolve(node);
  if (!shape || depth > 5) return null;
  if (shape.examples) return shape.examples[0];
  if (shape.default !== undefined) return shape.default;
  const choice = (shape.anyOf ?? shape.oneOf)?.[0];
  if (choice) return example(choice, depth + 1);
  if (shape.type === "array") return [example(shape.items, depth + 1)];
  if (shape.type === "object" && shape.properties) {
    return Object.fromEntries(Object.entries(shape.properties).map(([name, value]) => [name, example(value, depth + 1)]));
  }
  return { string: "", integer: 0, number: 0, boolean: false, object: {} }[shape.type] ?? null;
}

const code = (value) => h("pre", { tabindex: "0" }, JSON.stringify(value, null, 2));

function parameters(list = []) {
  if (!list.length) return null;
  const rows = list.map((parameter) => {
    const shape = resolve(parameter.schema);
    const limits = [
      shape.enum?.join(" | "),
      shape.minimum !== undefined && `from ${shape.minimum}`,
      shape.maximum !== undefined && `to ${shape.maximum}`,
      shape.default !== undefined && `default ${JSON.stringify(shape.default)}`,
    ].filter(Boolean);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, parameter.name),
      h("td", {}, `${parameter.in}, ${shape.type ?? "value"}`),
      h("td", {}, [parameter.description, limits.length ? `(${limits.join(", ")})` : ""].filter(Boolean).join(" ")),
    );
  });
  return h("table", {}, h("tbody", {}, rows));
}

function operation(path, method, route) {
  const body = Object.entries(route.requestBody?.content ?? {})[0];
  const answers = Object.entries(route.responses).map(([status, response]) => {
    const content = Object.entries(response.content ?? {})[0];
    const shown = content && content[0].includes("json") && Number(status) < 300 ? code(example(content[1].schema)) : null;
    return h("div", { className: "answer" }, h("p", {}, h("strong", {}, status), ` ${response.description}`), shown);
  });
  return h(
    "details",
    { className: "panel" },
    h("summary", {}, h("span", { className: "badge cf" }, method.toUpperCase()), h("code", {}, path), h("span", { className: "note" }, route.summary)),
    h("p", {}, route.description.replaceAll("`", "")),
    parameters(route.parameters),
    body ? h("h3", {}, `Body, ${body[0]}`) : null,
    body ? code(example(body[1].schema)) : null,
    h("h3", {}, "Answers"),
    answers,
  );
}

byId("docs").replaceChildren(
  ...Object.entries(schema.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, route]) => operation(path, method, route)),
  ),
);
