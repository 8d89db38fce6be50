export { openFds, openFiles } from "../../scripts/campaign/open-files.ts";
