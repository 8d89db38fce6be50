/** Names of registers, fields and values in a table: upper snake case, and valid identifiers. */

/** "DmaCtrl" → "DMA_CTRL", "I2C_CR1" → "I2C_CR1", "3v3-ok" → "_3V3_OK". */
export function upperSnake(text: string): string {
  const name = text
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .replace(/([A-Z\d])([A-Z][a-z])/g, "$1_$2")
    .replace(/[^A-Za-z\d]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .toUpperCase();
  if (name === "") return "UNNAMED";
  return /^\d/.test(name) ? `_${name}` : name;
}

/** The name itself, or with the first number from 2 on that makes it a new one. */
export function uniqueName(name: string, isTaken: (name: string) => boolean): string {
  if (!isTaken(name)) return name;
  for (let number = 2; ; number++) if (!isTaken(`${name}_${number}`)) return `${name}_${number}`;
}
