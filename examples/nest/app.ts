// A Nest service: one delivery for the whole application, checked before it listens and closed when it ends; metrics and
// readiness as routes. Compiled and run by the tests; it needs `experimentalDecorators` and `emitDecoratorMetadata`.

import 'reflect-metadata'
import { Controller, Get, Header, Inject, Injectable, Module, ServiceUnavailableException } from '@nestjs/common'
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { SecretDelivery, defineTools } from 'tcs-secret-delivery'

const tools = defineTools({ github: { secrets: { api_token: { required: true, minLength: 8 } } } })

/** The delivery as a provider: whoever needs a secret has it injected. */
@Injectable()
export class Secrets extends SecretDelivery<typeof tools> implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor() {
    super({ tools })
  }

  /** Without its secrets the application does not start. */
  async onApplicationBootstrap() {
    const { valid, secrets } = await this.validateApplicationFunctionality()
    if (valid) return
    const errors = secrets.flatMap(({ name, issues }) => issues.map(({ code }) => `${name}: ${code}`))
    throw new Error(`secrets are missing or wrong: ${errors.join(', ')}`)
  }

  /** Called on SIGTERM, once no request is under way. */
  async onApplicationShutdown() {
    await this.close()
  }
}

@Controller()
export class ServiceController {
  constructor(@Inject(Secrets) private readonly secrets: Secrets) {}

  @Get('token')
  async token() {
    return { hasToken: (await this.secrets.getToolSecret('github', 'api_token')) !== null }
  }

  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  metrics() {
    return this.secrets.metrics.prometheus()
  }

  @Get('ready')
  async ready() {
    const { ready, status, reasons } = await this.secrets.ready()
    if (!ready) throw new ServiceUnavailableException({ status, reasons })
    return { status, reasons }
  }
}

@Module({ providers: [Secrets], controllers: [ServiceController] })
export class AppModule {}

async function main() {
  const app = await NestFactory.create(AppModule, { logger: ['error'], abortOnError: false })
  app.enableShutdownHooks(['SIGTERM'])
  try {
    await app.listen(Number(process.env.PORT ?? 0), '127.0.0.1')
    console.log(await app.getUrl())
  } catch (error) {
    console.error(String(error))
    await app.close()
    process.exitCode = 1
  }
}

void main()
