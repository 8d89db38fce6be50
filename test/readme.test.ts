import { afterAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");

/** The checkout as a stranger has it, in a folder of its own, so that the commands leave nothing in this one. */
const checkout = mkdtempSync(join(tmpdir(), "vfiokit-readme-"));
for (const name of ["src", "scripts", "test", "node_modules"])
  symlinkSync(join(root, name), join(checkout, name));
for (const name of ["package.json", "bunfig.toml"]) copyFileSync(join(root, name), join(checkout, name));
afterAll(() => rmSync(checkout, { recursive: true }));

function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map((match) => match[1]!);
}

async function bash(command: string): Promise<string> {
  const path = `${join(root, "node_modules/.bin")}:${process.env.PATH}`;
  const child = Bun.spawn(["bash", "-c", `${command} 2>&1`], {
    cwd: checkout,
    stdin: "ignore",
    env: { ...process.env, PATH: path },
  });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${command}: ${text}`);
  return text;
}

/** What is fetched is said only once on a machine; times differ from run to run, libvpx's version from system to system, the mark of a line from terminal to pipe. */
function comparable(output: string): string[] {
  return output
    .split("\n")
    .map((line) =>
      line
        .replace(/^(ℹ|\[info\]) /, "")
        .replace(/\d+\.\d+ s \(\d+(\.\d+)? fps\)/, "TIME")
        .replace(/libvpx \d+\.\d+\.\d+/, "libvpx")
        .replace(/Linux \S+, (TCG|KVM): .*/, "LINUX"),
    )
    .filter((line) => line !== "" && !/^fetching .*, once\)$/.test(line))
    .sort();
}

test("the README's two commands are those that CI runs in a fresh clone", () => {
  const commands = blocks("sh").map((block) => block.trim());
  expect(commands).toEqual(["npm install && npx bun run encode.ts -o clip.webm", "npm test"]);
  const ci = readFileSync(join(root, ".ci/run"), "utf8").split("\n");
  for (const command of commands) expect(ci).toContain(command);
});

test("the README's commands print what it shows", async () => {
  const steps = blocks("console").flatMap((block) => block.split(/^\$ /m).slice(1));
  expect(steps.length).toBeGreaterThanOrEqual(3);
  for (const step of steps) {
    const [command, ...shown] = step.split("\n");
    expect(comparable(await bash(command!))).toEqual(comparable(shown.join("\n")));
  }
}, 900_000);

test("the README's program runs as it stands, on the package's public name", async () => {
  const [program, counterTest] = blocks("ts");
  expect(readFileSync(join(root, "examples/counter/counter.test.ts"), "utf8")).toContain(counterTest!);
  writeFileSync(join(checkout, "example.ts"), program!);
  const lines = (await bash("bun example.ts")).trim().split("\n");
  expect(lines.length).toBe(25);
  expect(lines[0]).toMatch(/^key 0 \d+$/);
  expect(lines[10]).toMatch(/^key 400000 \d+$/);
  expect(lines[24]).toMatch(/^delta 960000 \d+$/);
}, 60_000);
