import { expect, test } from "bun:test";
import { canonicalAddress, isAddress } from "../../src/pci/bus/address.ts";
import { BusError } from "../../src/pci/bus/bus-error.ts";

test("an address is taken with and without its domain, in either case, and written as sysfs names it", () => {
  expect(canonicalAddress("00:09.0")).toBe("0000:00:09.0");
  expect(canonicalAddress("0000:00:09.0")).toBe("0000:00:09.0");
  expect(canonicalAddress("0000:AF:1F.7")).toBe("0000:af:1f.7");
  expect(canonicalAddress("10000:01:00.0")).toBe("10000:01:00.0");
});

test.each([
  "",
  "9.0",
  "00:09",
  "00:20.0",
  "00:09.8",
  "0000:00:09.0 ",
  "../00:09.0",
  "0000:00:09.0/x",
  "g0:00.0",
])("%p is no address", (text) => {
  expect(isAddress(text)).toBe(false);
  expect(() => canonicalAddress(text)).toThrow(
    new BusError(`"${text}" is not a PCI address; an address looks like 0000:00:09.0, or 00:09.0`),
  );
});
