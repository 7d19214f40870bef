// Grafana's own types of a dashboard, as its JSON holds it. dashboard.test.js compiles ours against them.

import type * as grafana from '@grafana/schema'
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen'
import type * as timeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen'
import type * as series from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen'

/** Enumerations are their values in JSON. */
type Plain<T> = T extends string
  ? `${T}`
  : T extends (infer Element)[]
    ? Plain<Element>[]
    : T extends object
      ? { [Key in keyof T]: Plain<T[Key]> }
      : T

interface Target {
  refId: string
  expr: string
  legendFormat: string
  datasource: grafana.DataSourceRef
}

type PanelOf<Type extends string, Options, Custom> = Omit<
  grafana.Panel,
  'type' | 'options' | 'fieldConfig' | 'targets'
> & {
  id: number
  type: Type
  title: string
  gridPos: grafana.GridPos
  /** What is left out is Grafana's default. */
  options: Partial<Options>
  fieldConfig: {
    defaults: Omit<grafana.FieldConfig, 'custom'> & { custom?: Custom }
    overrides: grafana.FieldConfigSource['overrides']
  }
  targets: Target[]
}

type Panel =
  | PanelOf<'stat', stat.Options, never>
  | PanelOf<'state-timeline', timeline.Options, timeline.FieldConfig>
  | PanelOf<'timeseries', series.Options, series.FieldConfig>

export type Dashboard = Plain<Omit<grafana.Dashboard, 'panels'> & { panels: Panel[] }>
