/** encode.ts's exit codes, as docs/encode.md has them, and SILENT of the verbs for devices. */
export const ExitCode = { DEVICE: 1, USAGE: 2, INPUT: 3, OUTPUT: 4, SILENT: 5, INTERRUPTED: 130 } as const;
