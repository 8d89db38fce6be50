/** What a driver of the edu example does: copies between the device and memory. */
import { type Arbitrary, boolean, constant, constantFrom, nat, record } from "fast-check";
import { pack } from "../raw-client.ts";
import { mostly, word64, words32 } from "./numbers.ts";
import { RAM_BYTES, type Step, type Work } from "./work.ts";

/** A copy between the edu device's buffer and memory: docs/specs/edu.rst in QEMU. */
export interface EduOperation {
  readonly kind: "edu";
  readonly share: boolean;
  readonly toMemory: boolean;
  readonly address: bigint;
  readonly bufferAddress: number;
  readonly sizeBytes: number;
  readonly command: number;
}

/** The device has addresses of 28 bits. */
const EDU_IOVA = 2 ** 24;
const EduRegister = { SOURCE: 0x80, DESTINATION: 0x88, COUNT: 0x90, COMMAND: 0x98 } as const;
const BUFFER = 0x40000;

export const eduCopies: Arbitrary<EduOperation> = record({
  kind: constant("edu"),
  share: boolean(),
  toMemory: boolean(),
  address: mostly(
    nat(RAM_BYTES - 4096).map((at) => BigInt(EDU_IOVA + at)),
    word64,
  ),
  bufferAddress: mostly(
    nat(64).map((at) => BUFFER + at),
    words32,
  ),
  sizeBytes: mostly(nat(4096 - 64), words32),
  command: mostly(constantFrom(1, 5), words32),
});

export function eduWork(copy: EduOperation): Work {
  const { toMemory, address, bufferAddress, sizeBytes, command, share } = copy;
  const [source, destination] = toMemory ? [bufferAddress, address] : [address, bufferAddress];
  const write = (offset: number, value: number | bigint): Step => ({
    region: 0,
    offset,
    bytes: pack("4", Number(BigInt.asUintN(32, BigInt(value)))),
  });
  return {
    ...{ iova: EDU_IOVA, share },
    steps: [
      write(EduRegister.SOURCE, source),
      write(EduRegister.DESTINATION, destination),
      write(EduRegister.COUNT, sizeBytes),
      write(EduRegister.COMMAND, command | (toMemory ? 2 : 0)),
    ],
  };
}
