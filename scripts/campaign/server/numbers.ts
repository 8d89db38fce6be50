/** Numbers at which something changes, and any others. */
import { type Arbitrary, bigInt, constantFrom, nat, oneof } from "fast-check";

/** Mostly as it should be. */
export const mostly = <T>(usual: Arbitrary<T>, odd: Arbitrary<T>, weight = 9): Arbitrary<T> =>
  oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: odd });

const edges = [0n, 12n, 20n, 31n, 32n, 40n, 43n, 44n, 47n, 52n, 53n, 63n, 64n].flatMap((log2) =>
  [-4096n, -8n, -4n, -1n, 0n, 1n, 4n, 4096n].map((more) => 2n ** log2 + more),
);
const within = (bits: bigint) => edges.filter((edge) => edge >= 0n && edge < 2n ** bits);

/** Any u64. */
export const word64: Arbitrary<bigint> = oneof(
  { weight: 3, arbitrary: constantFrom(...within(64n)) },
  { weight: 1, arbitrary: nat(64).map(BigInt) },
  { weight: 1, arbitrary: bigInt(0n, 2n ** 64n - 1n) },
);

/** Any u32. */
export const word32: Arbitrary<bigint> = oneof(
  { weight: 2, arbitrary: nat(64).map(BigInt) },
  { weight: 2, arbitrary: constantFrom(...within(32n)) },
  { weight: 1, arbitrary: bigInt(0n, 2n ** 32n - 1n) },
);
export const words32: Arbitrary<number> = word32.map(Number);

/** Offsets in a region: registers, the pages' and the window's ends. */
export const offsets64: Arbitrary<bigint> = oneof(
  { weight: 6, arbitrary: nat(0x358 / 4).map((n) => BigInt(n * 4)) },
  { weight: 2, arbitrary: nat(0x1100).map(BigInt) },
  { weight: 1, arbitrary: nat(8 * 2 ** 20).map(BigInt) },
);

/** Sizes of an access. */
export const sizes64: Arbitrary<bigint> = oneof(
  { weight: 6, arbitrary: nat(64).map(BigInt) },
  { weight: 3, arbitrary: nat(5000).map(BigInt) },
  {
    weight: 1,
    arbitrary: constantFrom(2n ** 20n - 1n, 2n ** 20n, 2n ** 20n + 1n, 2n ** 20n + 64n, 2n ** 32n - 1n),
  },
);
