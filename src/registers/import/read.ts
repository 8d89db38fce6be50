/** Reads a register description of any kind that is known. */
import { MAX_DESCRIPTION_BYTES } from "../limits.ts";
import { type Description, DescriptionError } from "./description.ts";
import { readIpXact } from "./ip-xact.ts";
import { readSvd } from "./svd.ts";
import { parseXml } from "./xml.ts";

/** IP-XACT or CMSIS-SVD, by its root element. Throws DescriptionError. */
export function readDescription(bytes: Uint8Array): Description {
  if (bytes.length > MAX_DESCRIPTION_BYTES)
    throw new DescriptionError(
      `it has more than ${MAX_DESCRIPTION_BYTES} bytes; descriptions of whole processors have a sixth of that: split it`,
    );
  const text = decode(bytes);
  if (/^\s*\{/.test(text))
    throw new DescriptionError(`it is JSON, of which no standard describes registers; ${HELP}`);
  if (!/^\s*</.test(text) && /\b(addrmap|regfile)\b/.test(text))
    throw new DescriptionError(`it is SystemRDL, which is not read; ${HELP}`);
  const root = parseXml(text);
  if (root.name === "component") return readIpXact(root);
  if (root.name === "device") return readSvd(root);
  throw new DescriptionError(
    `it begins with <${root.name}>, where IP-XACT has <component> and CMSIS-SVD <device>`,
  );
}

const HELP = "PeakRDL makes IP-XACT from SystemRDL: peakrdl ip-xact FILE.rdl -o FILE.xml";

/** By the byte order mark, or the encoding that the first line declares. Throws DescriptionError. */
function decode(bytes: Uint8Array): string {
  const start = new TextDecoder("latin1").decode(bytes.subarray(0, 200));
  const declared = /^<\?xml[^>]*\bencoding\s*=\s*["']([\w-]+)["']/.exec(start)?.[1] ?? "utf-8";
  const mark = { "\xff\xfe": "utf-16le", "\xfe\xff": "utf-16be" }[start.slice(0, 2)];
  try {
    return new TextDecoder((mark ?? declared) as "utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new DescriptionError(`it is not text in ${mark ?? declared}`, { cause: error });
  }
}
