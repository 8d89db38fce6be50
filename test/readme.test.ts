import { afterAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { blocksOf, comparable, openCheckout, stepsOf } from "./document.ts";

const root = resolve(import.meta.dir, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");

const checkout = openCheckout();
afterAll(() => checkout[Symbol.dispose]());

test("the README's two commands are those that CI runs in a fresh clone", () => {
  const commands = blocksOf(readme, "sh").map((block) => block.trim());
  expect(commands).toEqual(["npm install && npx bun run encode.ts -o clip.webm", "npm test"]);
  const ci = readFileSync(join(root, ".ci/run"), "utf8").split("\n");
  for (const command of commands) expect(ci).toContain(command);
});

test("the README's commands print what it shows", async () => {
  const steps = stepsOf(readme);
  expect(steps.length).toBeGreaterThanOrEqual(3);
  for (const { command, shown } of steps)
    expect(comparable(await checkout.bash(command))).toEqual(comparable(shown));
}, 900_000);

test("the README's program runs as it stands, on the package's public name", async () => {
  const [program, counterTest] = blocksOf(readme, "ts");
  expect(readFileSync(join(root, "examples/counter/counter.test.ts"), "utf8")).toContain(counterTest!);
  writeFileSync(checkout.file("example.ts"), program!);
  const lines = (await checkout.bash("bun example.ts")).trim().split("\n");
  expect(lines.length).toBe(25);
  expect(lines[0]).toMatch(/^key 0 \d+$/);
  expect(lines[10]).toMatch(/^key 400000 \d+$/);
  expect(lines[24]).toMatch(/^delta 960000 \d+$/);
}, 60_000);
