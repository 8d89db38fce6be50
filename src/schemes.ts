/** Where the library is put together: the ways to a device that floors above src/device bring. */
import { registerScheme } from "./device/schemes.ts";
import { modelScheme } from "./model/scheme.ts";
import "./vp9/model/register.ts";

registerScheme(modelScheme("model:vp9 for the software model"));
