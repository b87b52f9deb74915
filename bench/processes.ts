// What a process has used, as Linux counts it.
import { readdirSync, readFileSync } from 'node:fs'

/** @returns milliseconds of processor that a process has used, its threads included */
export function cpuMs(pid: number): number {
  const { used } = statOf(pid)
  return used
}

/** @returns milliseconds of processor that PostgreSQL has used: the server of this backend and all that it started */
export function postgresCpuMs(backendPid: number): number {
  const server = statOf(backendPid).parent
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return all.map(Number).reduce((sum, pid) => {
    try {
      const { parent, used } = statOf(pid)
      return parent === server || pid === server ? sum + used : sum
    } catch {
      return sum // it ended in between
    }
  }, 0)
}

export function rssMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
}

function statOf(pid: number): { parent: number; used: number } {
  // utime and stime are in clock ticks of 10 ms (proc(5)); the name before them may hold spaces
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return { parent: Number(fields[1]), used: (Number(fields[11]) + Number(fields[12])) * 10 }
}
