/** Describes failures of the endpoint. */

import { openRegisters, type RegisterIo } from "../../registers/access.ts";
import { valueName } from "../../registers/fields.ts";
import { registerName } from "../../registers/table.ts";
import { registerMeaning, registers } from "../contract/registers.ts";

/** The device failed or refused something: what was waited for or refused, and what to do about it. */
export class EncoderError extends Error {
  override readonly name = "EncoderError";
}

const { CODE: codeField } = registers.ERROR.fields;
const codes = codeField.values;

const causes: Readonly<Record<number, string>> = {
  [codes.CODEC_REFUSED]: "its codec refused these settings; a software model says why on its standard error",
  [codes.BUS_MASTER_OFF]: "bus mastering is off, so it can't reach host memory",
  [codes.RING_FAULT]: "it could not reach the rings in memory",
};

/** Reads ERROR, and for a refused value the register it names and its limits. Throws DeviceError. */
export function describeFailure(io: RegisterIo): string {
  const { ERROR, MAX_SIZE } = openRegisters(registers, io);
  const { CODE, FIELD } = ERROR.readFields();
  if (CODE !== codes.BAD_VALUE) {
    const cause = causes[CODE];
    return `the stream failed with ${valueName(codeField, CODE)}${cause ? `: ${cause}` : ""}`;
  }
  const name = registerName(registers, FIELD);
  const register = Object.values(registers).find(({ offset }) => offset === FIELD);
  const value = readBack(FIELD, io.read32(FIELD));
  if (!register) return `the device refused ${name} = ${value}`;
  const { WIDTH, HEIGHT } = MAX_SIZE.readFields();
  const limit = FIELD === registers.CODED_SIZE.offset ? ` (MAX_SIZE is ${WIDTH}x${HEIGHT})` : "";
  return `the device refused ${name} = ${value}. ${name}: ${registerMeaning(register)}${limit}`;
}

function readBack(offset: number, value: number): string {
  if (offset === registers.SPEED.offset) return String((value << 24) >> 24);
  const isSize = offset === registers.CODED_SIZE.offset || offset === registers.VISIBLE_SIZE.offset;
  return isSize ? `${value & 0xffff}x${value >>> 16}` : String(value);
}
