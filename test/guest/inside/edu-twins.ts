/** Talks to both edus of a guest, QEMU's at 00:01.0 and ours at 00:02.0, and prints their answers. */
import { bind } from "../../../src/exports/bus.ts";
import { openDevice } from "../../../src/index.ts";
import { talkToEdu } from "../../model/edu-script.ts";

const answers: unknown[] = [];
for (const address of ["0000:00:01.0", "0000:00:02.0"]) {
  await bind(address);
  using device = openDevice(address);
  answers.push(talkToEdu(device));
}
console.log(JSON.stringify(answers));
