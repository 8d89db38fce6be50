import { type DecodedRegister, decodeRegister, type RegisterLayout } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

/** A kind of capability: its name, and the registers it has in a given function. */
export interface CapabilityLayout {
  /** lspci's title, because people search for it. */
  readonly title: string;
  /** Its name for programs, if that differs from the title. */
  readonly name?: string;
  /** The register whose fields follow the title on its line. */
  readonly heading?: RegisterLayout | ((scope: Scope) => RegisterLayout);
  /** Lines between the title and the registers. */
  readonly notes?: (scope: Scope) => readonly string[];
  readonly registers?: readonly RegisterLayout[] | ((scope: Scope) => readonly RegisterLayout[]);
  /** How many raw bytes to show if not all are decoded; Infinity if its length is unknown. */
  readonly opaqueBytes?: (scope: Scope) => number;
}

/** A table of layouts by capability id. */
export type CapabilityTable = Readonly<Record<number, CapabilityLayout>>;

/** A capability with its registers. */
export interface DecodedCapability {
  readonly id: number;
  /** Whether it is in PCI Express' extended space, from 0x100 on. */
  readonly extended: boolean;
  /** In configuration space. */
  readonly offset: number;
  /** Version of an extended capability. */
  readonly version?: number;
  readonly name: string;
  readonly registers: readonly DecodedRegister[];
  /** Its bytes in hexadecimal, if not all of them are decoded. */
  readonly bytes?: string;
  /** Why the list ends with this capability, if it is broken here. */
  readonly problem?: string;
  /** Its text: the title's line and the lines below, indented by a tab per level. */
  readonly lines: readonly string[];
}

/** The name for programs. */
export function nameOf({ name, title }: CapabilityLayout): string {
  return name ?? title.replace(/(:| <\?>| \[\w+\])$/, "");
}

function partsOf({ heading, registers = [] }: CapabilityLayout, scope: Scope) {
  return {
    heading: typeof heading === "function" ? heading(scope) : heading,
    below: typeof registers === "function" ? registers(scope) : registers,
  };
}

/** The registers that a capability has in this function. Reads only what decides that. */
export function registersOf(layout: CapabilityLayout, scope: Scope): RegisterLayout[] {
  const { heading, below } = partsOf(layout, scope);
  return [...(heading ? [heading] : []), ...below].filter(
    ({ offset, sizeBytes, when }) => scope.has(offset, sizeBytes) && when?.(scope) !== false,
  );
}

/** Decodes a capability's registers; gives their structured form, the title's line and the lines below. */
export function decodeLayout(
  layout: CapabilityLayout,
  scope: Scope,
): { readonly registers: DecodedRegister[]; readonly lines: string[] } {
  const registers: DecodedRegister[] = [];
  const lines = [layout.title];
  const { heading, below } = partsOf(layout, scope);
  const headed = heading && decodeRegister(heading, scope);
  if (headed) {
    registers.push(headed);
    const [first = "", ...rest] = headed.lines;
    lines[0] += first === "" || /^[,;:]/.test(first) ? first : ` ${first}`;
    lines.push(...rest.map((line) => `\t\t${line}`));
  }
  lines.push(...(layout.notes?.(scope) ?? []).map((note) => `\t${note}`));
  for (const register of below) {
    const decoded = decodeRegister(register, scope);
    if (!decoded) continue;
    registers.push(decoded);
    const indent = register.lines ? "\t" : "\t\t";
    lines.push(...decoded.lines.map((line, i) => (i === 0 ? "\t" : indent) + line));
  }
  return { registers, lines };
}
