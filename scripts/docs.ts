/** Writes docs/encoder.md anew from the register table. */
import { writeFileSync } from "node:fs";
import { encoderDocument } from "../src/endpoint/document.ts";

writeFileSync(new URL("../docs/encoder.md", import.meta.url), encoderDocument());
