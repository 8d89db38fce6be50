import { expect, describe as group, test } from "bun:test";
import { CONFIG_BYTES, Config, Status } from "../../src/pci/config-offsets.ts";
import type { CapabilityLayout } from "../../src/pci/decode/capabilities/capability.ts";
import { scopeAt } from "../../src/pci/decode/capabilities/scope.ts";
import { extendedCapabilities, standardCapabilities } from "../../src/pci/decode/capabilities/table.ts";
import { decodeConfig } from "../../src/pci/decode/decode.ts";
import { describe } from "../../src/pci/decode/describe.ts";
import { openNames } from "../../src/pci/decode/names.ts";
import { cardConfigSpace, modelConfigSpace } from "../vp9/endpoint-config.ts";

const noNames = openNames([]);

/** A header with a list of capabilities, all else 0. */
function space(sizeBytes: number, ...set: (readonly [offset: number, ...bytes: number[]])[]): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  bytes[Config.STATUS] = Status.CAPABILITIES;
  for (const [offset, ...values] of set) bytes.set(values, offset);
  return bytes;
}

/** Each capability as "offset: its problem, or its name". */
function listed(bytes: Uint8Array): string[] {
  return decodeConfig(bytes).capabilities.map(
    ({ offset, name, problem }) => `${offset.toString(16)}: ${problem ?? name}`,
  );
}

const [modelConfig, cardConfig] = [await modelConfigSpace(), await cardConfigSpace()];

function model(functionLevelReset = true): Uint8Array {
  const bytes = new Uint8Array(CONFIG_BYTES);
  (functionLevelReset ? modelConfig : cardConfig).read(0, bytes);
  return bytes;
}

group("lists that lead astray", () => {
  test("a list that comes around again ends there", () => {
    const bytes = space(256, [0x34, 0x40], [0x40, 0x01, 0x50], [0x50, 0x05, 0x40]);
    expect(listed(bytes)).toEqual(["40: Power Management", "50: MSI", "40: chain looped"]);
    expect(describe(decodeConfig(bytes), noNames)).toContain("\tCapabilities: [40] <chain looped>");
  });

  test("a pointer into the header ends the list", () => {
    expect(listed(space(256, [0x34, 0x40], [0x40, 0x01, 0x30]))).toEqual([
      "40: Power Management",
      "30: points into the header",
    ]);
  });

  test("an id of all ones ends the list: nobody answers there", () => {
    expect(listed(space(256, [0x34, 0x40], [0x40, 0xff, 0xff]))).toEqual(["40: chain broken"]);
  });

  test("a pointer's two low bits do not count", () => {
    expect(listed(space(256, [0x34, 0x43], [0x40, 0x01]))).toEqual(["40: Power Management"]);
  });

  test("without the status bit there is no list, whatever the pointer says", () => {
    const bytes = space(256, [0x34, 0x40], [0x40, 0x01]);
    bytes[Config.STATUS] = 0;
    expect(listed(bytes)).toEqual([]);
  });

  test("the 64 bytes that anyone may read show the header, and where the rest would be", () => {
    const decoded = decodeConfig(model().subarray(0, 64));
    expect(decoded).toMatchObject({ vendorId: 0x10ee, classCode: 0x058000, configBytes: 64 });
    expect(listed(model().subarray(0, 64))).toEqual(["80: not readable"]);
  });

  test("256 bytes show the standard capabilities and no extended ones", () => {
    expect(listed(model().subarray(0, 256))).toEqual(["80: Power Management", "90: MSI", "c0: Express"]);
  });

  test("the extended list is not looked for where neither PCI Express nor PCI-X has one", () => {
    const bytes = space(CONFIG_BYTES, [0x34, 0x40], [0x40, 0x01], [0x100, 0x01, 0x00, 0x01, 0x00]);
    expect(listed(bytes)).toEqual(["40: Power Management"]);
    bytes[0x40] = 0x10;
    expect(listed(bytes)).toEqual(["40: Express", "100: Advanced Error Reporting"]);
  });

  test("an extended list that loops, or points below 0x100, ends there", () => {
    const express = [0x40, 0x10, 0x00, 0x02, 0x00] as const;
    const loop = space(CONFIG_BYTES, [0x34, 0x40], express, [0x100, 0x03, 0, 0x01, 0x10]);
    expect(listed(loop)).toEqual(["40: Express", "100: Device Serial Number", "100: chain looped"]);
    const below = space(CONFIG_BYTES, [0x34, 0x40], express, [0x100, 0x03, 0, 0x01, 0x04]);
    expect(listed(below).at(-1)).toBe("40: points out of the extended space");
  });

  test("registers that lie beyond the bytes at hand are left out", () => {
    const decoded = decodeConfig(space(256, [0x34, 0xf8], [0xf8, 0x05, 0x00, 0x80, 0x01]));
    expect(decoded.capabilities[0]!.registers.map(({ name }) => name)).toEqual(["messageControl"]);
  });

  test("a capability that nothing here knows shows its id and its bytes, up to the next one", () => {
    const bytes = space(256, [0x34, 0x40], [0x40, 0x42, 0x50, 1, 2, 3, 4, 5, 6, 7], [0x50, 0x01]);
    expect(decodeConfig(bytes).capabilities[0]).toMatchObject({
      id: 0x42,
      bytes: "425001020304050607000000",
    });
    expect(describe(decodeConfig(bytes), noNames)).toContain(
      "\tCapabilities: [40] Capability ID 0x42 [0201]\n\t\t40: 42 50 01 02 03 04 05 06 07 00 00 00\n",
    );
  });

  test("fewer than 64 bytes are refused", () => {
    expect(() => decodeConfig(new Uint8Array(63))).toThrow(RangeError);
  });
});

test("every field of every capability lies inside its register, and shows its value at most once", () => {
  const facts = { vendor: 0x1af4, device: 0x1041, headerType: 1, portType: 4, hasMemoryBar: true };
  const fills = [0x00, 0x01, 0xff, 0x5a].map((byte) => new Uint8Array(4096).fill(byte));
  let count = 0;
  const check = (layout: CapabilityLayout) => {
    for (const fill of fills) {
      const scope = scopeAt(fill, 0x100, facts);
      const { heading, registers = [] } = layout;
      const first = typeof heading === "function" ? heading(scope) : heading;
      const rest = typeof registers === "function" ? registers(scope) : registers;
      for (const { name, sizeBytes, fields } of first ? [first, ...rest] : rest) {
        for (const [key, { bits, text }] of Object.entries(fields)) {
          const [low, high] = bits;
          const shown = typeof text === "string" ? text : text(scope);
          const fits = 0 <= low && low <= high && high < sizeBytes * 8 && shown.split("{}").length <= 2;
          if (!fits) throw new Error(`${layout.title} ${name}.${key}: bits ${low} to ${high}, "${shown}"`);
          count++;
        }
      }
    }
  };
  for (const layout of [...Object.values(standardCapabilities), ...Object.values(extendedCapabilities)])
    check(layout);
  expect(count).toBeGreaterThan(1500);
});

group("the structured form", () => {
  const decoded = decodeConfig(model(), [{ sizeBytes: 4096 }, { sizeBytes: 8 << 20 }]);
  const fieldsOf = (id: number, register: string) =>
    decoded.capabilities
      .find((capability) => capability.id === id)
      ?.registers.find(({ name }) => name === register);

  test("names fields as the specification does; numbers are numbers, flags booleans, choices names", () => {
    expect(fieldsOf(0x10, "deviceControl")).toMatchObject({
      offset: 0xc8,
      sizeBytes: 2,
      value: 0x283e,
      fields: {
        correctableErrorReportingEnable: false,
        nonFatalErrorReportingEnable: true,
        enableNoSnoop: true,
        maxPayloadSizeBytes: 256,
        maxReadRequestSizeBytes: 512,
      },
    });
    expect(fieldsOf(0x10, "deviceControl2")?.fields.completionTimeoutValue).toBe("65ms to 210ms");
    expect(fieldsOf(0x01, "uncorrectableErrorMask")).toBeUndefined();
  });

  test("gives 64-bit values as hexadecimal text", () => {
    expect(fieldsOf(0x05, "messageAddress")).toMatchObject({
      sizeBytes: 8,
      value: "0x0000000000000000",
      fields: { address: "0x0000000000000000", data: 0 },
    });
  });

  test("has regions with the sizes that were known, and no address for those without one", () => {
    expect(decoded.regions).toEqual([
      {
        index: 0,
        space: "memory",
        address: null,
        type: "32-bit",
        prefetchable: false,
        enabled: false,
        sizeBytes: 4096,
      },
      {
        index: 1,
        space: "memory",
        address: null,
        type: "32-bit",
        prefetchable: false,
        enabled: false,
        sizeBytes: 8 << 20,
      },
    ]);
  });

  test("has a field only on the kinds of port that have it", () => {
    const bytes = model();
    const isThere = () =>
      "functionLevelResetCapability" in
      decodeConfig(bytes).capabilities.find(({ id }) => id === 0x10)!.registers[1]!.fields;
    expect(isThere()).toBe(true);
    bytes[0xc2] = 0x42; // a root port
    expect(isThere()).toBe(false);
  });
});

test("a 64-bit region takes two registers and is one region", () => {
  const bytes = space(256, [0x10, 0x0c, 0, 0, 0x80, 0x34, 0x12, 0, 0], [0x18, 0x01, 0xe0], [0x04, 0x01]);
  expect(decodeConfig(bytes).regions).toEqual([
    {
      index: 0,
      space: "memory",
      address: "0x123480000000",
      type: "64-bit",
      prefetchable: true,
      enabled: false,
    },
    { index: 2, space: "io", address: "0xe000", type: "io", prefetchable: false, enabled: true },
  ]);
});
