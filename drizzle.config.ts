import { defineConfig } from 'drizzle-kit'

// `npx drizzle-kit generate` writes the next migration from src/db/schema.ts; functions and partitions are custom migrations.
export default defineConfig({ dialect: 'postgresql', schema: './src/db/schema.ts', out: './drizzle' })
