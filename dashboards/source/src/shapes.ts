// What stands in a dashboard's JSON, in the types of the SDK and of Grafana itself: validate.ts makes a JSON schema of it. The
// SDK leaves open what a panel and its queries hold, as that is its plugin's; here it is named.
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import type { GraphFieldConfig, TableFieldOptions } from '@grafana/grafana-foundation-sdk/common';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus';
import type * as stat from '@grafana/grafana-foundation-sdk/stat';
import type * as stateTimeline from '@grafana/grafana-foundation-sdk/statetimeline';
import type * as table from '@grafana/grafana-foundation-sdk/table';
import type * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';
import type * as grafana from '@grafana/schema';
import type * as grafanaStat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as grafanaStateTimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as grafanaTable from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as grafanaTimeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

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

    'stat options of Grafana': grafanaStat.Options;
    'state-timeline options of Grafana': grafanaStateTimeline.Options;
    // Its types have forgotten what its editor offers.
    'state-timeline fields of Grafana': grafanaStateTimeline.FieldConfig & { spanNulls: boolean };
    'table options of Grafana': grafanaTable.Options;
    'table fields of Grafana': grafana.TableFieldOptions;
    'timeseries options of Grafana': grafanaTimeseries.Options;
    'timeseries fields of Grafana': grafana.GraphFieldConfig;
}
