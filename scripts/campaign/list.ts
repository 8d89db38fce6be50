/** All campaigns. */
import { type Campaign, campaign } from "./campaign.ts";
import { client } from "./client.ts";
import { faults } from "./faults.ts";
import { inputs } from "./inputs.ts";
import { kills } from "./kills.ts";
import { server } from "./server.ts";

/** Of 100 runs of `kills`, those that boot a guest. */
const GUESTS = 2;

export const campaigns: readonly Campaign[] = [
  faults,
  server,
  client,
  campaign(inputs),
  campaign(kills(GUESTS)),
];
