/**
 * Resizable BARs of a real kernel. The device is test/model/models/resizable.model.ts, of which QEMU shows only the size that its BAR
 * has (vfio_setup_rebar_ecap), so a change to another one is tested with a mock: test/pci/resizable-bars.test.ts.
 */
import { expect, test } from "bun:test";
import { bind, release } from "../../../src/pci/bus/binding.ts";
import { listFunctions } from "../../../src/pci/bus/functions.ts";
import { verb, verbAsNobody } from "./verb.ts";

const { address } = listFunctions().find(({ vendor, device }) => vendor === 0x1234 && device === 0x3718)!;
const nvme = listFunctions().find(({ classCode }) => classCode === 0x010802)!.address;
const done = (line: string) => ({ exitCode: 0, stdout: `${line}\n`, said: "" });
const failed = (said: string) => ({ exitCode: 1, stdout: "", said });

test("the sizes are shown, in words and as JSON, also of a function that has none", async () => {
  expect(await verb("resize", address)).toEqual(done("BAR1  8 MiB of 8 MiB"));
  const json = { address, bars: [{ bar: 1, sizeBytes: 2 ** 23, sizesBytes: [2 ** 23] }] };
  expect(JSON.parse((await verb("resize", address, "--json")).stdout)).toEqual(json);
  expect(await verb("resize", nvme)).toEqual(done("none: no BAR can change its size"));
  expect((await verb("info", address)).stdout).toContain("BAR 1: current size: 8MB, supported: 8MB");
  expect(await verbAsNobody("resize", address)).toEqual(done("BAR1  8 MiB of 8 MiB"));
  const { exitCode, said } = await verbAsNobody("resize", address, "1", "8M");
  expect(exitCode).toBe(1);
  expect(said).toMatch(
    /^can't give BAR1 of .* 8 MiB: write .*\/resource1_resize: EACCES: this needs root: run it with sudo$/,
  );
});

test("the kernel does it for a function without a driver, which answers afterwards; otherwise the error says who has it", async () => {
  expect(await verb("resize", address, "1", "8MiB")).toEqual(
    done(`BAR1 of ${address} had 8 MiB, and has 8 MiB now`),
  );
  await verb("poke", address, "0:0", "7");
  expect((await verb("peek", address, "1:0x7ffffc")).exitCode).toBe(0);
  expect(await verb("resize", address, "1", "16M")).toEqual(
    failed(`BAR1 of ${address} can't have 16 MiB, but 8 MiB`),
  );
  expect(await verb("resize", address, "0", "8M")).toEqual(
    failed(`BAR0 of ${address} can't change its size, but BAR1 can`),
  );
  await bind(address, "uio_pci_generic");
  expect(await verb("resize", address, "1", "8M")).toEqual(
    failed(
      `BAR1 of ${address} can't change its size while uio_pci_generic has the function; unbind that first: echo ${address} > /sys/bus/pci/devices/${address}/driver/unbind`,
    ),
  );
  await release(address);
});
