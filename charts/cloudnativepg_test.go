package charts

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// CloudNativePG's own Go module brings its whole operator and cannot be had from every module proxy. These are the parts of its
// API (postgresql.cnpg.io/v1, release 1.28) that the postgres chart may set: decoding into them is strict, so a field that is
// not here is looked up in the API's reference first.

// cnpgCluster is a PostgreSQL with replicas.
type cnpgCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              cnpgClusterSpec `json:"spec"`
}

type cnpgClusterSpec struct {
	Description               string                            `json:"description,omitempty"`
	Instances                 int                               `json:"instances"`
	ImageName                 string                            `json:"imageName,omitempty"`
	ImagePullPolicy           corev1.PullPolicy                 `json:"imagePullPolicy,omitempty"`
	ImagePullSecrets          []cnpgReference                   `json:"imagePullSecrets,omitempty"`
	InheritedMetadata         *cnpgInheritedMetadata            `json:"inheritedMetadata,omitempty"`
	PostgresUID               int64                             `json:"postgresUID,omitempty"`
	PostgresGID               int64                             `json:"postgresGID,omitempty"`
	Storage                   *cnpgStorage                      `json:"storage,omitempty"`
	WalStorage                *cnpgStorage                      `json:"walStorage,omitempty"`
	Bootstrap                 *cnpgBootstrap                    `json:"bootstrap,omitempty"`
	Managed                   *cnpgManaged                      `json:"managed,omitempty"`
	PostgreSQL                *cnpgPostgreSQL                   `json:"postgresql,omitempty"`
	Resources                 *corev1.ResourceRequirements      `json:"resources,omitempty"`
	Affinity                  *cnpgAffinity                     `json:"affinity,omitempty"`
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
	PriorityClassName         string                            `json:"priorityClassName,omitempty"`
	Monitoring                *cnpgMonitoring                   `json:"monitoring,omitempty"`
	EnableSuperuserAccess     *bool                             `json:"enableSuperuserAccess,omitempty"`
	SuperuserSecret           *cnpgReference                    `json:"superuserSecret,omitempty"`
	EnablePDB                 *bool                             `json:"enablePDB,omitempty"`
	PrimaryUpdateStrategy     string                            `json:"primaryUpdateStrategy,omitempty"`
	PrimaryUpdateMethod       string                            `json:"primaryUpdateMethod,omitempty"`
	SeccompProfile            *corev1.SeccompProfile            `json:"seccompProfile,omitempty"`
	LogLevel                  string                            `json:"logLevel,omitempty"`
	Env                       []corev1.EnvVar                   `json:"env,omitempty"`
	StartDelay                int32                             `json:"startDelay,omitempty"`
	StopDelay                 int32                             `json:"stopDelay,omitempty"`
	SmartShutdownTimeout      *int32                            `json:"smartShutdownTimeout,omitempty"`
	SwitchoverDelay           int32                             `json:"switchoverDelay,omitempty"`
	FailoverDelay             int32                             `json:"failoverDelay,omitempty"`
}

type cnpgReference struct {
	Name string `json:"name"`
}

type cnpgInheritedMetadata struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type cnpgStorage struct {
	Size               string                            `json:"size,omitempty"`
	StorageClass       *string                           `json:"storageClass,omitempty"`
	ResizeInUseVolumes *bool                             `json:"resizeInUseVolumes,omitempty"`
	PVCTemplate        *corev1.PersistentVolumeClaimSpec `json:"pvcTemplate,omitempty"`
}

type cnpgBootstrap struct {
	InitDB *cnpgInitDB `json:"initdb,omitempty"`
}

type cnpgInitDB struct {
	Database                   string         `json:"database,omitempty"`
	Owner                      string         `json:"owner,omitempty"`
	Secret                     *cnpgReference `json:"secret,omitempty"`
	DataChecksums              *bool          `json:"dataChecksums,omitempty"`
	Encoding                   string         `json:"encoding,omitempty"`
	Locale                     string         `json:"locale,omitempty"`
	LocaleCollate              string         `json:"localeCollate,omitempty"`
	LocaleCType                string         `json:"localeCType,omitempty"`
	LocaleProvider             string         `json:"localeProvider,omitempty"`
	BuiltinLocale              string         `json:"builtinLocale,omitempty"`
	PostInitSQL                []string       `json:"postInitSQL,omitempty"`
	PostInitTemplateSQL        []string       `json:"postInitTemplateSQL,omitempty"`
	PostInitApplicationSQL     []string       `json:"postInitApplicationSQL,omitempty"`
	PostInitSQLRefs            *cnpgSQLRefs   `json:"postInitSQLRefs,omitempty"`
	PostInitApplicationSQLRefs *cnpgSQLRefs   `json:"postInitApplicationSQLRefs,omitempty"`
}

type cnpgSQLRefs struct {
	SecretRefs    []cnpgKey `json:"secretRefs,omitempty"`
	ConfigMapRefs []cnpgKey `json:"configMapRefs,omitempty"`
}

type cnpgKey struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

type cnpgManaged struct {
	Roles []cnpgRole `json:"roles,omitempty"`
}

type cnpgRole struct {
	Name            string         `json:"name"`
	Comment         string         `json:"comment,omitempty"`
	Ensure          string         `json:"ensure,omitempty"`
	PasswordSecret  *cnpgReference `json:"passwordSecret,omitempty"`
	DisablePassword bool           `json:"disablePassword,omitempty"`
	ConnectionLimit *int64         `json:"connectionLimit,omitempty"`
	InRoles         []string       `json:"inRoles,omitempty"`
	Inherit         *bool          `json:"inherit,omitempty"`
	Login           bool           `json:"login,omitempty"`
	Superuser       bool           `json:"superuser,omitempty"`
	CreateDB        bool           `json:"createdb,omitempty"`
	CreateRole      bool           `json:"createrole,omitempty"`
	Replication     bool           `json:"replication,omitempty"`
	BypassRLS       bool           `json:"bypassrls,omitempty"`
}

type cnpgPostgreSQL struct {
	Parameters             map[string]string `json:"parameters,omitempty"`
	PgHBA                  []string          `json:"pg_hba,omitempty"`
	SharedPreloadLibraries []string          `json:"shared_preload_libraries,omitempty"`
	Synchronous            *cnpgSynchronous  `json:"synchronous,omitempty"`
}

type cnpgSynchronous struct {
	Method                     string `json:"method"`
	Number                     int    `json:"number"`
	DataDurability             string `json:"dataDurability,omitempty"`
	MaxStandbyNamesFromCluster *int   `json:"maxStandbyNamesFromCluster,omitempty"`
}

type cnpgAffinity struct {
	EnablePodAntiAffinity *bool                `json:"enablePodAntiAffinity,omitempty"`
	PodAntiAffinityType   string               `json:"podAntiAffinityType,omitempty"`
	TopologyKey           string               `json:"topologyKey,omitempty"`
	NodeSelector          map[string]string    `json:"nodeSelector,omitempty"`
	NodeAffinity          *corev1.NodeAffinity `json:"nodeAffinity,omitempty"`
	Tolerations           []corev1.Toleration  `json:"tolerations,omitempty"`
}

type cnpgMonitoring struct {
	EnablePodMonitor      bool  `json:"enablePodMonitor,omitempty"`
	DisableDefaultQueries *bool `json:"disableDefaultQueries,omitempty"`
}

// cnpgDatabase is a database inside a cluster.
type cnpgDatabase struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              cnpgDatabaseSpec `json:"spec"`
}

type cnpgDatabaseSpec struct {
	Cluster       cnpgReference `json:"cluster"`
	Ensure        string        `json:"ensure,omitempty"`
	Name          string        `json:"name"`
	Owner         string        `json:"owner"`
	Template      string        `json:"template,omitempty"`
	Encoding      string        `json:"encoding,omitempty"`
	LocaleCollate string        `json:"localeCollate,omitempty"`
	LocaleCType   string        `json:"localeCType,omitempty"`
	ReclaimPolicy string        `json:"databaseReclaimPolicy,omitempty"`
}

func addCloudNativePG(scheme *runtime.Scheme) error {
	version := schema.GroupVersion{Group: "postgresql.cnpg.io", Version: "v1"}
	scheme.AddKnownTypeWithName(version.WithKind("Cluster"), &cnpgCluster{})
	scheme.AddKnownTypeWithName(version.WithKind("Database"), &cnpgDatabase{})
	metav1.AddToGroupVersion(scheme, version)
	return nil
}

func (c *cnpgCluster) DeepCopyObject() runtime.Object  { return deepCopy(c) }
func (d *cnpgDatabase) DeepCopyObject() runtime.Object { return deepCopy(d) }

func deepCopy[T any](from *T) *T {
	text, err := json.Marshal(from)
	if err != nil {
		panic(err) // strings and numbers
	}
	to := new(T)
	if err := json.Unmarshal(text, to); err != nil {
		panic(err)
	}
	return to
}
