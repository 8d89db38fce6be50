/** docs/reliability.md, made from what campaign.ts wrote: docs/reliability.json. */
import type { CampaignResult, Counts } from "../campaign/campaign.ts";
import { campaigns } from "../campaign/list.ts";
import { clock } from "../cli/progress.ts";
import { type Found, found } from "./reliability-found.ts";

/** What is promised, by the campaign that tries to break it. */
export const promises: Readonly<Record<string, string>> = {
  faults:
    "A device that fails in any way ends in an error that says what failed, or in a recovery; no wait outlasts its time limit, and no chunk is wrong.",
  server:
    "Whatever a client sends to a model's server, the server serves the next client, and holds nothing of the last one.",
  client: "Whatever a server answers, its client throws a DeviceError in time, and holds nothing afterwards.",
  inputs:
    "A file that is damaged is read as far as it is whole, or refused in one line that names the cause.",
  kills:
    "A process that is killed at any moment leaves no other process, socket or lock, and an output that can be played.",
  soak: "What a process holds does not grow with its work: descriptors not at all, memory by less than 5 % and 8 MiB once it has settled.",
  "soak-guests": "A program that boots guest after guest holds no more than after the first ones.",
};

/** A page about all campaigns: those that there are, and those that were run. */
export function reliabilityPage(results: readonly CampaignResult[], madeBy: string): string {
  const names = [...new Set([...campaigns.map(({ name }) => name), ...results.map(({ name }) => name)])];
  const sections = names.map((name) =>
    section(
      name,
      results.findLast((result) => result.name === name),
    ),
  );
  return `<!-- ${madeBy} makes this file from docs/reliability.json -->

# Reliability

A campaign is many runs of one kind, made from a seed. Each run must keep a promise, on real sockets, processes, files and signals. The
first run that does not ends its campaign, which then looks for the shortest case that fails, and prints the command that repeats it.
A part of each campaign runs with the tests (\`test/campaigns\`). All of them, or one with a number of runs of your choice:

\`\`\`sh
bun run campaign.ts --json docs/reliability.json && bun run docs.ts
bun run campaign.ts soak --runs 300
\`\`\`

Every wait, queue, message, allocation and file from outside has a bound with a name, in the \`limits.ts\` of its floor;
\`test/limits.test.ts\` lists the test that exceeds each. [SECURITY.md](../SECURITY.md) says who trusts whom.

${sections.join("\n\n")}

## Bugs found

${table(
  ["by", "command", "what was wrong", "fix", "test"],
  found.map(({ by, command, wrong, fix, test }: Found) => [by, `\`${command}\``, wrong, fix, `test/${test}`]),
)}
`;
}

function section(name: string, result: CampaignResult | undefined): string {
  const promise = promises[name] ?? campaigns.find((one) => one.name === name)?.about ?? "";
  const head = [`## ${name}`, "", promise, ""];
  if (!result)
    return [...head, `It was not run for this page: \`bun run campaign.ts ${name}\` runs it.`].join("\n");
  const { runs, seed, seconds, failure } = result;
  const outcome = failure
    ? `**A run failed**: ${failure.error.split("\n")[0]} (\`${failure.command}\`).`
    : "No run failed.";
  return [
    ...head,
    `${runs} runs in ${clock(seconds)}, with seed ${seed}: \`bun run campaign.ts ${name} --seed ${seed} --runs ${runs}\`. ${outcome}`,
    "",
    countsTable(result.counts),
    ...samplesTable(result),
  ].join("\n");
}

function countsTable(counts: Counts): string {
  const rows = Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
  return table(
    ["what", "how many"],
    rows.map(([what, count]) => [what, String(count)]),
  );
}

/** A row for each figure, a column for each point. */
function samplesTable({ samples }: CampaignResult): string[] {
  const names = [...new Set(samples.flatMap(({ figures }) => Object.keys(figures)))].sort();
  if (names.length === 0) return [];
  const rows = names.map((name) => [name, ...samples.map(({ figures }) => String(figures[name] ?? ""))]);
  return ["", table(["after so many runs", ...samples.map(({ runs }) => String(runs))], rows)];
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`)
    .join("\n");
