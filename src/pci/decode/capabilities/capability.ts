import { type DecodedRegister, decodeRegister, type RegisterLayout } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

/** A kind of capability: its name, and the registers it has in a given function. */
export interface CapabilityLayout {
  /** As lspci has it, since that is how it is looked for. */
  readonly title: string;
  /** Its name where the title has another one: programs look for it. */
  readonly name?: string;
  /** The register whose fields stand on the line of the title. */
  readonly heading?: RegisterLayout | ((scope: Scope) => RegisterLayout);
  /** Lines between the title and the registers. */
  readonly notes?: (scope: Scope) => readonly string[];
  readonly registers?: readonly RegisterLayout[] | ((scope: Scope) => readonly RegisterLayout[]);
  /** How many of its bytes are shown as well, there being more in it than is decoded; Infinity where nothing tells. */
  readonly opaqueBytes?: (scope: Scope) => number;
}

/** A table of layouts by capability id. */
export type CapabilityTable = Readonly<Record<number, CapabilityLayout>>;

export interface DecodedCapability {
  readonly id: number;
  /** In the extended space, which PCI Express has from 0x100 on. */
  readonly extended: boolean;
  /** In configuration space. */
  readonly offset: number;
  /** Version of an extended capability. */
  readonly version?: number;
  readonly name: string;
  readonly registers: readonly DecodedRegister[];
  /** Its bytes in hexadecimal, where not all of them are decoded. */
  readonly bytes?: string;
  /** What is wrong with the list here; it ends with this capability. */
  readonly problem?: string;
  /** The text of it: the title's line, and those below, with a tab for each level they are deeper. */
  readonly lines: readonly string[];
}

/** The structured form of a capability's registers, its title's line and the lines below. */
export function decodeLayout(
  layout: CapabilityLayout,
  scope: Scope,
): { readonly registers: DecodedRegister[]; readonly lines: string[] } {
  const registers: DecodedRegister[] = [];
  const lines = [layout.title];
  const heading = typeof layout.heading === "function" ? layout.heading(scope) : layout.heading;
  const headed = heading && decodeRegister(heading, scope);
  if (headed) {
    registers.push(headed);
    const [first = "", ...rest] = headed.lines;
    lines[0] += first === "" || /^[,;:]/.test(first) ? first : ` ${first}`;
    lines.push(...rest.map((line) => `\t\t${line}`));
  }
  lines.push(...(layout.notes?.(scope) ?? []).map((note) => `\t${note}`));
  const below = typeof layout.registers === "function" ? layout.registers(scope) : (layout.registers ?? []);
  for (const register of below) {
    const decoded = decodeRegister(register, scope);
    if (!decoded) continue;
    registers.push(decoded);
    const indent = register.lines ? "\t" : "\t\t";
    lines.push(...decoded.lines.map((line, i) => (i === 0 ? "\t" : indent) + line));
  }
  return { registers, lines };
}
