/** Something on the PCI bus that can't be found, read or changed: what was tried, on what, why, and what to do. */
export class BusError extends Error {
  override readonly name = "BusError";
}
