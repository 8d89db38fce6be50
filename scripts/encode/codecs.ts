/** The software model's codecs, for --help and `--codec help`. */
import { codecNames, engines } from "../../src/vp9/codec/engine.ts";
import type { SurveyedEngine } from "../../src/vp9/codec/survey.ts";
import { filled, twoColumns } from "../cli/layout.ts";

/** For --help: their names and what they are. */
export const codecTable = (): string => twoColumns(codecNames.map((name) => [name, engines[name]]));

/** Prints what each is on this machine; as JSON the object in docs/encode.md. */
export async function printCodecs(json: boolean): Promise<void> {
  const { surveyEngines } = await import("../../src/vp9/codec/survey.ts");
  const codecs = await surveyEngines();
  const auto = codecs.find(({ used }) => used)?.name ?? null;
  const embedded = codecs.find(({ name, state }) => name === "embedded" && state === "ready");
  const { LIBVPX_LICENCE } = await import("../../src/vp9/codec/libvpx-licence.ts");
  const licence = embedded === undefined ? null : LIBVPX_LICENCE;
  if (json) console.log(JSON.stringify({ codecs, auto, licence }));
  else
    console.log(
      [
        twoColumns(codecs.flatMap(rows)),
        filled(whyUsed(codecs)),
        ...(licence === null ? [] : [`The embedded libvpx:\n\n${licence}`]),
      ].join("\n\n"),
    );
}

function rows({ name, about, state, version, detail, used }: SurveyedEngine): [string, string][] {
  const here =
    state === "ready" ? `${version}, ${detail}` : state === "download" ? detail : `not here: ${detail}`;
  return [
    [name, about],
    ["", used ? `${here} <- used` : here],
  ];
}

/** Which codec "auto" takes, and why. */
function whyUsed(codecs: readonly SurveyedEngine[]): string {
  const used = codecs.find((codec) => codec.used);
  if (used === undefined)
    return "Without --codec the software model finds none of these, and can't encode. A card needs none.";
  const taken = `Without --codec the software model uses ${used.name}, the first of these that can be had here`;
  if (used.state === "ready") return `${taken}.`;
  const next = codecs.find(({ state }, at) => at > codecs.indexOf(used) && state === "ready");
  const otherwise = next === undefined || next.name === "null" ? "can't encode" : `uses ${next.name}`;
  return `${taken}. If Debian's archive does not answer, it ${otherwise}.`;
}
