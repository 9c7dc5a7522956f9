// What stands in a dashboard's JSON, in the SDK's types: validate.ts makes a JSON schema of it. The SDK leaves open what a
// panel and its queries hold, as that is its plugin's; here it is named.
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import type { GraphFieldConfig, TableFieldOptions } from '@grafana/grafana-foundation-sdk/common';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus';
import type * as stat from '@grafana/grafana-foundation-sdk/stat';
import type * as stateTimeline from '@grafana/grafana-foundation-sdk/statetimeline';
import type * as table from '@grafana/grafana-foundation-sdk/table';
import type * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';

export interface Shapes {
    dashboard: Dashboard;
    query: Dataquery;
    'stat options': stat.Options;
    'state-timeline options': stateTimeline.Options;
    'state-timeline fields': stateTimeline.FieldConfig;
    'table options': table.Options;
    'table fields': TableFieldOptions;
    'timeseries options': timeseries.Options;
    'timeseries fields': GraphFieldConfig;
}
