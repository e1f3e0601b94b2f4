// Package objects keeps media and recordings in an S3 object store.
//
// [Open] takes the address of a bucket:
//
//	s3://bucket/prefix?endpoint=https://s3.gra.io.cloud.ovh.net&region=gra&acl=public-read
//
// The path, if any, begins every key. The query says where the bucket is:
//
//	endpoint    scheme, host and port of the service; default: Amazon's. Plain
//	            http only for this machine, elsewhere with insecure=true
//	region      default AWS_REGION, then AWS_DEFAULT_REGION, then us-east-1
//	path_style  true: the bucket is in the path; false: in the host name.
//	            Default: false at Amazon, true elsewhere
//	acl         public-read makes what listeners may read, below live/ and
//	            replay/, readable by all. Nothing else ever is. Default: as the
//	            bucket says
//	insecure    true allows an endpoint with plain http on another machine
//
// The keys to it come from where such programs look: AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY, MINIO_ROOT_USER and MINIO_ROOT_PASSWORD, the shared
// credentials file (AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE), the role of the
// machine or pod. They are never part of the address, nor of an error or a log.
//
// With https the authorities are the system's and those in SSL_CERT_FILE.
package objects
