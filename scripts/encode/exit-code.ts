/** encode.ts's exit codes, as docs/encode.md has them. */
export const ExitCode = { DEVICE: 1, USAGE: 2, INPUT: 3, OUTPUT: 4, INTERRUPTED: 130 } as const;
