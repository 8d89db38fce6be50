/** A model's message thread in a standalone binary, where the model's file finds no library but this one. */
import "../vfiokit/library.ts";
import "../../src/model/hosting/message-thread.ts";
