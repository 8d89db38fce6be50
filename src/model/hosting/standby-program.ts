/** `standby-program.ts FD FILE`: takes over from a killed model. FD: its control socket. FILE: the model's. */
import { loadDefinition } from "../definition.ts";
import { standBy } from "./standby-server.ts";

const [fd, file = ""] = process.argv.slice(2);
standBy(Number(fd), await (await loadDefinition(file)).remains());
process.exit();
