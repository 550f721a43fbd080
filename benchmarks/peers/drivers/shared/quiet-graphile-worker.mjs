// No line of log a job, as in Graphile Worker's own performance test; read when the package loads.
process.env.NO_LOG_SUCCESS = '1'
