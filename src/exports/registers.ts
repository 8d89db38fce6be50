/** vfiokit/registers: from one table of registers typed accessors, dumps and documents. */
import "../os/bun-version.ts";
import "./globals.ts";

export { openRegisters, type RegisterAccess, type RegisterIo, type Registers } from "../registers/access.ts";
export { type RegisterWords, registersMarkdown } from "../registers/document.ts";
export { type RegisterValue, readRegisters, registersAsJson, showRegisters } from "../registers/dump.ts";
export {
  type FieldValues,
  fieldMask,
  getField,
  packFields,
  unpackFields,
  valueName,
} from "../registers/fields.ts";
export { findMistake } from "../registers/mistake.ts";
export {
  type Field,
  type Mode,
  type Register,
  type RegisterTable,
  registerName,
} from "../registers/table.ts";
