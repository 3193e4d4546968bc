/* Who we are to Entra ID, and the tokens it gives us for that, fetched on a thread of their own. */
#ifndef EHRING_CREDENTIAL_H
#define EHRING_CREDENTIAL_H

#include <stdbool.h>
#include <stdint.h>

enum credential_kind {
    CREDENTIAL_SAS = 0, /* a key or a signature of the connection string: no Entra ID */
    CREDENTIAL_DEFAULT, /* the chain: environment, workload identity, managed identity, Azure CLI */
    CREDENTIAL_ENVIRONMENT,
    CREDENTIAL_CLIENT_SECRET,
    CREDENTIAL_CLIENT_CERTIFICATE,
    CREDENTIAL_WORKLOAD_IDENTITY,
    CREDENTIAL_MANAGED_IDENTITY,
    CREDENTIAL_AZURE_CLI,
    CREDENTIAL_KINDS
};

/* What names an identity. An empty field comes from the environment variable beside it, where there is one. */
struct credential_options {
    enum credential_kind kind;
    char tenant_id[128];                   /* AZURE_TENANT_ID */
    char client_id[128];                   /* AZURE_CLIENT_ID */
    char client_secret[513];               /* AZURE_CLIENT_SECRET */
    char client_certificate[1024];         /* path of a PEM file with certificate and key: AZURE_CLIENT_CERTIFICATE_PATH */
    char client_certificate_password[257]; /* AZURE_CLIENT_CERTIFICATE_PASSWORD */
    char token_file[1024];                 /* AZURE_FEDERATED_TOKEN_FILE */
    char object_id[128];                   /* of a user-assigned managed identity */
    char resource_id[512];                 /* the same, named by its resource */
    char authority_host[256];              /* AZURE_AUTHORITY_HOST, else login.microsoftonline.com */
};

#endif
