/** What tests of guests and models share. */
import { join } from "node:path";

/** Starts a model that serves whoever comes to its socket; resolves when it does. */
export async function startModel(socket: string) {
  const program = join(import.meta.dir, "../../scripts/model.ts");
  const model = Bun.spawn([process.execPath, program, "--socket", socket], {
    stdin: "ignore",
    stderr: "pipe",
  });
  const reader = model.stderr.getReader();
  let said = "";
  while (!said.includes("vfio-user:")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the model did not start: ${said}`);
    said += new TextDecoder().decode(value);
  }
  void (async () => {
    while (!(await reader.read()).done);
  })();
  return model;
}
