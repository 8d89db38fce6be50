/**
 * Imported by every door for its declarations alone: those of the library name these types, which come with Bun's, Node's or
 * the DOM's. Where a program is type-checked with none of them they are empty; elsewhere this adds nothing to them.
 */
/// <reference lib="esnext.disposable" preserve="true" />
export {};

declare global {
  interface AbortSignal {}
  interface Event {}
  interface MessagePort {}
  interface URL {}
  interface URLSearchParams {}
  interface Worker {}
}
