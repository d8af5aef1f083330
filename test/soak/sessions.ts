/** A thousand sessions of both kinds at a time, ten times over, and more sessions than a gateway keeps. */
import { proveSessions } from "../sessions/prove-sessions.ts";

/** Prints what was measured; throws when a session is refused or memory grows. */
export async function soakSessions(say: (line: string) => void): Promise<void> {
  const { before, rounds, manySessions, opened } = await proveSessions({
    sessions: 1_000,
    rounds: 10,
    greedyAgents: 11,
  });
  const told = rounds.map(({ open, closed }) => `${open}/${closed}`).join(" ");
  say(`sessions: 1000 at a time, resident memory ${before} MB before, open/closed ${told} MB`);
  say(`sessions: ${opened} opened by eleven agents, 10000 kept: ${manySessions} MB`);
}
