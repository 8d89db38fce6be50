/** For --preload: the program goes on as a user who may do nothing. */
const NOBODY = 65534;
process.setgroups!([]);
process.setgid!(NOBODY);
process.setuid!(NOBODY);
