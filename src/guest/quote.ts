/** Quotes a word for the shell. */
export const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
