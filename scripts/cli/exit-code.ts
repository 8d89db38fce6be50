/** encode.ts's exit codes, as in docs/encode.md, and SILENT of the device verbs. */
export const ExitCode = { DEVICE: 1, USAGE: 2, INPUT: 3, OUTPUT: 4, SILENT: 5, INTERRUPTED: 130 } as const;
