/** The API reference: a page for each door. */
import type { Door, Entry, Reference } from "./doors.ts";

export interface Page {
  /** In docs/api. */
  readonly file: string;
  readonly text: string;
}

interface Outline {
  readonly door: Door;
  /** What only this page describes, for the doors after it link to it. */
  readonly own: readonly Entry[];
  /** Types without a door, which those use. */
  readonly others: readonly Entry[];
  /** Of the headings, by an entry's id. */
  readonly anchors: ReadonlyMap<string, string>;
}

/** Everything is described once, on the page of the first door that has it. */
export function apiPages({ doors, entries }: Reference, madeBy: string): Page[] {
  const homes = new Map<string, Door>();
  for (const door of doors) for (const { id } of door.exports) if (!homes.has(id)) homes.set(id, door);
  const outlines = new Map(doors.map((door) => [door, outlineOf(door, homes, entries)]));
  return doors.map((door) => {
    const outline = outlines.get(door)!;
    const link = (entry: Entry) => {
      const home = homes.get(entry.id) ?? door;
      const anchor = outlines.get(home)!.anchors.get(entry.id);
      return `[\`${entry.name}\`](${home === door ? "" : fileOf(home)}#${anchor})`;
    };
    return { file: fileOf(door), text: pageOf(outline, entries, link, madeBy) };
  });
}

const fileOf = ({ specifier }: Door) => `${specifier.split("/").at(-1)}.md`;

function outlineOf(
  door: Door,
  homes: ReadonlyMap<string, Door>,
  entries: ReadonlyMap<string, Entry>,
): Outline {
  const own = sorted(door.exports.filter(({ id }) => homes.get(id) === door));
  const found = new Map<string, Entry>();
  const follow = ({ uses }: Entry) => {
    for (const id of uses) {
      if (homes.has(id) || found.has(id)) continue;
      found.set(id, entries.get(id)!);
      follow(entries.get(id)!);
    }
  };
  own.forEach(follow);
  const others = sorted([...found.values()]);
  // As GitHub makes them: in lower case, and numbered where two headings are then the same.
  const anchors = new Map<string, string>();
  const counts = new Map<string, number>();
  for (const { id, name } of [...own, ...others]) {
    const plain = name.toLowerCase();
    const before = counts.get(plain) ?? 0;
    counts.set(plain, before + 1);
    anchors.set(id, before === 0 ? plain : `${plain}-${before}`);
  }
  return { door, own, others, anchors };
}

function pageOf(
  { door, own, others }: Outline,
  entries: ReadonlyMap<string, Entry>,
  link: (entry: Entry) => string,
  madeBy: string,
): string {
  const table = (isType: boolean) => {
    const rows = sorted(door.exports)
      .filter((entry) => entry.isType === isType)
      .map((entry) => `| ${link(entry)} | ${firstSentence(aboutOf(entry)).replaceAll("|", "\\|")} |`);
    const head = [`| ${isType ? "type" : "name"} | what it is |`, "| --- | --- |"];
    return rows.length === 0 ? "" : [...head, ...rows].join("\n");
  };
  const section = (level: string) => (entry: Entry) => {
    const uses = entry.uses.map((id) => link(entries.get(id)!));
    return [
      `${level} \`${entry.name}\``,
      aboutOf(entry),
      `\`\`\`ts\n${entry.declarations.map(({ code }) => code).join("\n")}\n\`\`\``,
      uses.length > 0 ? `Types: ${uses.join(", ")}` : "",
    ];
  };
  const parts = [
    `# ${door.specifier}`,
    `<!-- Made by ${madeBy} from the comments in src. -->`,
    sentence(door.about.replace(/^[\w/]+: /, "")),
    table(false),
    table(true),
    ...own.flatMap(section("##")),
    ...(others.length > 0 ? ["## Other types", "The types above use these, which can't be imported."] : []),
    ...others.flatMap(section("###")),
  ];
  return `${parts.filter(Boolean).join("\n\n")}\n`;
}

/** Values first. */
const sorted = (entries: readonly Entry[]) =>
  entries.toSorted((a, b) => Number(a.isType) - Number(b.isType) || (a.name < b.name ? -1 : 1));

const aboutOf = ({ declarations }: Entry) =>
  declarations
    .map(({ about }) => about)
    .filter(Boolean)
    .join("\n\n");

/** Not beyond a paragraph or into a list. */
const firstSentence = (about: string) => {
  const paragraph = about.split(/\n\n|\n- /, 1)[0]!.replace(/\s+/g, " ");
  return /^.*?\.(?=\s+[A-Z`"]|\s*$)/.exec(paragraph)?.[0] ?? paragraph;
};

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
