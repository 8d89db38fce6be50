/** CHECK, made here by zlib: a submission's is looked at, and a completion has one, of its packet, too. */
import { expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import { openDevice } from "../../../src/index.ts";
import { COMPLETION_BYTES, SUBMISSION_BYTES, SubmitFlag } from "../../../src/vp9/contract/rings.ts";
import { HOST, Place, Rig, WINDOW } from "./stream-rig.ts";

const CHECK_IN_SUBMISSION = 60;
const CHECK_IN_COMPLETION = 24;

for (const space of [HOST, WINDOW])
  test(`in ${space === HOST ? "host memory" : "the window"}`, async () => {
    using device = openDevice("model:vp9?codec=null");
    using rig = new Rig(device, { space });
    await rig.run();
    rig.clear(Place.FRAME, rig.frameBytes, 0x5a);
    rig.fill({ tag: 9, flags: SubmitFlag.CHECK });
    const submission = rig.get(Place.SQ, SUBMISSION_BYTES);
    const check = crc32(submission.subarray(0, CHECK_IN_SUBMISSION));
    new DataView(submission.buffer).setUint32(CHECK_IN_SUBMISSION, check, true);
    rig.put(Place.SQ, submission);
    rig.ring();
    const { status, packetBytes } = await rig.complete();
    expect([status, packetBytes]).toEqual(["OK", 16]);

    const completion = rig.get(Place.CQ, COMPLETION_BYTES);
    const written = new DataView(completion.buffer).getUint32(CHECK_IN_COMPLETION, true);
    const parts = [rig.get(Place.OUTPUT, packetBytes), completion.subarray(0, 24), completion.subarray(28)];
    expect(written).toBe(crc32(Buffer.concat(parts)));
  });
