/**
 * The words that start a program of this project as a process of its own, which takes neither settings (.env) nor code
 * (bunfig.toml's preload) from the folder that it is started in. A standalone binary starts itself.
 */
export function bunProgram(path: string): string[] {
  const flags = Bun.isStandaloneExecutable ? [] : ["--no-env-file", "--config=/dev/null"];
  return [process.execPath, ...flags, path];
}
