/** What answers one route of `/_sim`. */
import type { z } from 'zod'
import type { Apps } from './apps.ts'
import { type Answer, json, type Request } from './wire.ts'
import type { World } from './world.ts'

/** @throws ZodError and SyntaxError for a body that does not fit */
export type Handler = (world: World, request: Request, id: string, apps: Apps) => Answer

export function read<Schema extends z.ZodType>(schema: Schema, request: Request): z.output<Schema> {
  return schema.parse(request.body.length === 0 ? {} : JSON.parse(request.body.toString()))
}

export const noApp = () => nothingHere('no app by this client key')

/** @param what there is none of */
export function nothingHere(what = 'nothing here'): Answer {
  return json(404, { error: `${what}; /_sim/openapi.json describes what there is` })
}
