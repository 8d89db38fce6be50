/** `standby-program.ts FD FILE`: goes on for a model that is killed; FD is its end of the control socket, FILE the model's. */
import { loadDefinition } from "../definition.ts";
import { standBy } from "./standby-server.ts";

const [fd, file = ""] = process.argv.slice(2);
standBy(Number(fd), await (await loadDefinition(file)).remains());
process.exit();
