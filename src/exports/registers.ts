/** vfiokit/registers: from one table of registers typed accessors, dumps and documents. */
import "../os/bun-version.ts";
import "./globals.ts";

export { type RegisterWords, registersMarkdown } from "../registers/document.ts";
export { type RegisterValue, readRegisters, registersAsJson, showRegisters } from "../registers/dump.ts";
export { findMistake } from "../registers/mistake.ts";
export {
  type Field,
  type FieldValues,
  fieldMask,
  getField,
  type Mode,
  openRegisters,
  packFields,
  type Register,
  type RegisterAccess,
  type RegisterIo,
  type Registers,
  type RegisterTable,
  registerName,
  unpackFields,
  valueName,
} from "../registers/table.ts";
