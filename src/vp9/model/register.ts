/** Registers `model:vp9`, the encoder endpoint's software model. */
import { registerModel } from "../../model/models.ts";
import { ownFile } from "../../os/bun-program.ts";

registerModel({
  name: "vp9",
  file: ownFile("./vp9.model.ts", import.meta.url),
  options: ["codec", "fault"],
  about: "the VP9 encoder's software model",
});
