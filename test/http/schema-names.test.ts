// How schemas are called in the OpenAPI file.
import t from 'tap'
import { nameSchemasOnce } from '../../src/http/schema-names.ts'

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` })

t.test('a schema that is used one way has one plain name; what nothing refers to is gone', async (t) => {
  const described = nameSchemasOnce({
    paths: { '/a': { post: { in: ref('OnlyInInput'), out: ref('OnlyOut') } }, '/b': { in: ref('BothInput'), out: ref('Both') } },
    components: {
      securitySchemes: { key: {} },
      schemas: {
        OnlyIn: { unused: true },
        OnlyInInput: { properties: { part: ref('PartInput') } },
        OnlyOut: {},
        OnlyOutInput: {},
        Part: { unused: true },
        PartInput: { type: 'string' },
        Both: { type: 'number' },
        BothInput: { type: 'string' },
      },
    },
  })
  t.strictSame(described, {
    paths: { '/a': { post: { in: ref('OnlyIn'), out: ref('OnlyOut') } }, '/b': { in: ref('BothInput'), out: ref('Both') } },
    components: {
      securitySchemes: { key: {} },
      schemas: {
        Both: { type: 'number' },
        BothInput: { type: 'string' },
        OnlyIn: { properties: { part: ref('Part') } },
        OnlyOut: {},
        Part: { type: 'string' },
      },
    },
  } as unknown as typeof described)
})
