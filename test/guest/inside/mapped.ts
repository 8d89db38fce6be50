/** Maps files of the working directory, as databases do. */
import { Database } from "bun:sqlite";
import { readFileSync, writeFileSync } from "node:fs";

writeFileSync("mapped", Buffer.alloc(8192, "a"));
const map = Bun.mmap("mapped", { shared: true });
map[5000] = "b".charCodeAt(0);
const other = Bun.spawn(["dd", "if=mapped", "bs=1", "skip=5000", "count=1"], { stderr: "ignore" });
console.log("another process reads", await new Response(other.stdout).text());
console.log("this one reads", String.fromCharCode(readFileSync("mapped")[5000]!));

using database = new Database("database", { create: true });
database.exec("PRAGMA journal_mode = WAL; CREATE TABLE notes (text); INSERT INTO notes VALUES ('kept')");
const query =
  'console.log(new (require("bun:sqlite").Database)("database").query("SELECT text FROM notes").get().text)';
const reader = Bun.spawn(["bun", "-e", query], { stderr: "inherit" });
console.log("another process finds", (await new Response(reader.stdout).text()).trim());
